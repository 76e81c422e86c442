"""The command line: arguments in, exit codes and text for people out.

``main``           the commands, and what their errors become
``parser``         arguments and their help texts, made from the table of options
``run``            a node until a signal stops it; ``logs`` its lines
``status``         one screen about a running node (``status_screen``)
``tui``            is ``dashboard``
``get``            an image, a blob or a file: ``get_image`` which blobs, ``get_fetch`` their bytes,
                   ``get_progress`` how far they are, ``get_split`` where they came from
``preheat``        an image to nodes before anybody pulls it
``ca``             this host's own CA
``keys``           the cluster key file
``mirror``         container runtimes' configuration, with ``mirror_arguments`` and ``mirror_check``
``doctor``         what could keep this host's node from working
``completion``     scripts for shells; ``man`` the manual page; ``grammar`` what both are made of
``findings``       what checks have found, as a screen or a document
``node_api``       which node a command talks to; ``signals`` what stops it, ``exits`` its codes
``demo``           three nodes and a registry on this machine; ``demo_registry``, ``demo_image``,
                   ``demo_node``, ``demo_pull`` and ``demo_report`` are its parts
``own_command``    how this program starts itself once more

Commands import what they need when they run, so that ``version`` and ``--help`` are quick.
"""
