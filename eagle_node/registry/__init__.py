"""The origin's side of the wire: names, challenges, credentials and the registry client.

Three layers, each of which knows only those before it:

* Grammar, without IO: `names` and `route` turn a client's request into a repository, blob or
  manifest of one registry; `challenge` reads and writes ``WWW-Authenticate``, `docker_config` what
  docker keeps of credentials; `headers`, `redirects`, `answer`, `manifest_reply` and `refusals` say
  what an origin's answer is worth, `image_manifest` which blobs a manifest names; `image_reference`
  reads images as people name them; `errors` turns this program's errors into OCI error JSON.
* The client: `endpoints` says where a registry is really reached and `tls` whom it must convince;
  `host_names` finds hosts, `transport` sends one request and follows its redirects; `credentials`
  and `tokens` obtain what `authorizer` answers a 401 with; `health_policy` says who is to be left
  alone, and `circuit` for how long if silent; `upstream` puts them together: check, fetch
  (`blob_stream`), forward (`forward_reply`).
* The memory: `access` remembers whom the origin lets read what, `rights` does so over restarts,
  `manifests` what it said about manifests (`manifest_question`), which `manifest_store` keeps in
  SQLite; `file_store` does so for files of web servers (`file_ref`).

Errors: `Denied` when the origin refuses, `Unavailable` when it cannot be had, `WrongContent` when
it delivers other bytes than the digest promises, `BadName` and `BadDigest` when the client's
request is malformed. No foreign exception leaves this package.
"""
