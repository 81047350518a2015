"""The upscaler behind HTTP: `fsrcnn serve`. Needs Starlette, uvicorn and python-multipart: `pip install 'fsrcnn[serve]'`.

| module | holds |
|---|---|
| `options.py` | what a request may ask for, field by field |
| `storage.py` | the private folder of uploads and results |
| `uploads.py` | bodies of requests, streamed to disk |
| `jobs.py` | pictures that wait, are upscaled, are there to be fetched |
| `problems.py` | what goes wrong, as a status and a sentence |
| `guard.py` | who may ask: Host, Origin, token |
| `prometheus.py` | counts of it all |
| `description.py` | the interface as OpenAPI, and as a page to read |
| `application.py` | the routes |
| `listening.py` | the port, connections, the end |
| `page/` | the page in the browser |
"""
