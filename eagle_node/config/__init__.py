"""One frozen tree: loaded once (flag > environment > file > default), handed down in parts.

``tree``       the settings; a field's docstring is its help text
``options``    the table of options: name, kind and help of each
``kinds``      how values are read; ``host_kinds`` and ``place_kinds`` those of some rooms
``sources``    flags, environment and file, parsed; ``toml_file`` the file
``load``       all of it in order; ``suggest`` what somebody probably meant
``roles``, ``hosts``, ``places``  what some values stand for
"""
