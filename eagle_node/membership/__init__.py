"""Membership: who is a node of this cluster now, what it says of itself, and who is gone.

SWIM (Das, Gupta, Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group
Membership Protocol", 2002) with Lifeguard (Dadgar, Phillips, Currey, "Lifeguard: Local Health
Awareness for More Accurate Failure Detection", 2018).

::

    service ─┬► endpoint     UDP and TCP on one port ── seal ── wire
             ├► pushpull     all members, told to each other over TCP
             ├► account      what people are told: log lines and metrics
             └► machine      events and time in, effects out; no IO
                  ├► detector     pings, pings through helpers, pings for others
                  ├► beliefs      what news changes what belief; refutation
                  │    ├► table        everybody else, the probe order, the dead
                  │    ├► suspicion    a suspect's time to refute
                  │    └► rumours      updates to spread, each a bounded number of times
                  ├► contacts     whom to dial: join addresses, and the dead, who may be back
                  └► timers, health, timings

What is believed of a node is (incarnation, state); the greater pair wins, so all orders of arrival
end in the same belief, and old datagrams that are sent again change nothing. Only the node raises
its incarnation: to describe itself anew, and to refute a suspicion, its death or its farewell.
`lives` keeps the number of starts in the data directory, so that a restarted node outranks all that
was said of it before; without it, it hears what was said and refutes.

Three ways that news takes: with pings and acks; in packets of their own, five times a second while
there is some; in push-pulls over TCP, at the start and now and then. A push-pull never buries: who
is dead on one side only is suspected, so that the halves of a partition merge without a loss.

A process that has crashed need not be waited for: while others are asked to ping a silent target,
its host is asked by TCP. A refusal is proof that nothing listens there, and buries it at once; a
host that says nothing, or accepts (a stopped process), is judged by its silence alone.

Who is dead is dialled now and then, as are the join addresses, so both halves of a partition, and a
node that was frozen, find the others again, whoever was restarted meanwhile. Who left is not.

A process that stood still blames nobody for its own silence: timers that come late push all
deadlines of others. A process with the id of another one (a copied data directory) is not believed
while that one answers probes; both learn of each other and tell `DuplicateId`.

``member``, ``meta``   a member, what it says of itself; updates    ``events``   in, out, changes
``packing``, ``wire``  the bytes of messages                         ``seal``     AES-GCM, key ring
"""
