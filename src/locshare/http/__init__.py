"""The HTTP/1.1 server under the REST API and the page: hypercorn's protocol on plain sockets."""
