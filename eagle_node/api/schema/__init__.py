"""The documents of the control API. Keys of the JSON are the field names.

``status``     a node, its cluster, traffic and cache; readiness      ``blobs``      what it holds
``transfers``  what is moving, from whom and to whom                  ``events``     what happens
``settings``   what can be changed while it runs                      ``preheat``    jobs
``history``    rates of the last minutes                              ``problem``    errors

A field with a default was added later: an older node leaves it out.
"""

from eagle_node.api.schema.blobs import BlobAction, BlobRow, Blobs
from eagle_node.api.schema.events import EVENT_KINDS, Event, LogLine
from eagle_node.api.schema.history import History
from eagle_node.api.schema.preheat import (
    PreheatJob,
    PreheatJobs,
    PreheatRequest,
    PreheatTarget,
)
from eagle_node.api.schema.problem import Problem
from eagle_node.api.schema.settings import Setting, SettingChange, Settings
from eagle_node.api.schema.status import (
    CacheStatus,
    ClusterStatus,
    ContainerdStatus,
    Health,
    Lease,
    Member,
    Members,
    NodeStatus,
    Readiness,
    RegistriesStatus,
    RegistryTrouble,
    ServedFrom,
    Status,
    TrafficStatus,
    VipStatus,
)
from eagle_node.api.schema.transfers import PeerShare, TransferRow, Transfers

__all__ = [
    "EVENT_KINDS",
    "BlobAction",
    "BlobRow",
    "Blobs",
    "CacheStatus",
    "ClusterStatus",
    "ContainerdStatus",
    "Event",
    "Health",
    "History",
    "Lease",
    "LogLine",
    "Member",
    "Members",
    "NodeStatus",
    "PeerShare",
    "PreheatJob",
    "PreheatJobs",
    "PreheatRequest",
    "PreheatTarget",
    "Problem",
    "Readiness",
    "RegistriesStatus",
    "RegistryTrouble",
    "ServedFrom",
    "Setting",
    "SettingChange",
    "Settings",
    "Status",
    "TrafficStatus",
    "TransferRow",
    "Transfers",
    "VipStatus",
]
