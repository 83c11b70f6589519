"""The contract with clients in machine-readable form, made from the types that the server runs on:
OpenAPI, AsyncAPI, JSON Schemas, TypeScript, and a page that shows them
(docs/reference/contracts.md).

Nothing here is on the path of a message. Whoever changes a struct changes the documents with it.
"""
