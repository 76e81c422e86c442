"""The gRPC contract between peers and seeders: how metainfo reaches those who want a blob.

``metainfo.proto``  the contract, for programs in other languages
``descriptors``     the same contract as protobuf message classes, made at run time
``messages``        frozen dataclasses and their codec; no IO
``errors``          the error family as gRPC status, message and trailer, and back; no IO
``service``         puts a handler behind a gRPC server
``hash_messages``   what bytes of a segment hash to
``registry_messages``, ``registry_service``  the same for questions to registries
``file_messages``, ``file_service``          the same for questions about files of web servers
``client``          asks one seeder, or one of several; ``channels`` its connections

Generated code is neither committed nor needed: message classes are made from descriptors, and
method handlers move raw bytes that ``messages`` encodes and decodes.
"""
