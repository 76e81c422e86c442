"""The command line: arguments in, exit codes and text for people out.

``main``           the commands, and what their errors become
``parser``         arguments and their help texts, made from the table of options
``run``            a node until a signal stops it; ``logs`` its lines
``status``         one screen about a running node
``keys``           the cluster key file
``mirror``         container runtimes' configuration, with ``mirror_arguments`` and ``mirror_check``
``doctor``         what could keep this host's node from working
``completion``     scripts for shells; ``man`` the manual page; ``grammar`` what both are made of
``findings``       what checks have found, as a screen or a document
``demo``           three nodes and a registry on this machine; ``demo_registry``, ``demo_image``,
                   ``demo_node`` and ``demo_report`` are its parts

Commands import what they need when they run, so that ``version`` and ``--help`` are quick.
"""
