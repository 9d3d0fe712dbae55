"""The HTTP contract in DashScope's spelling, misspellings included: the only home of pydantic and of the wire's words.

One module per noun. Each reads what a client sent into `portraits.requests`, and shapes what came back into a reply.
Nothing here does I/O. Readers raise from `portraitd.errors`; replies never hold a JSON `null` (absent is absent).
"""
