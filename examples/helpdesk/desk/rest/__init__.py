"""The desk as an HTTP API: resources and methods, conditional writes, stored answers, and a document that says so."""
