"""The HTTP server: app.py is the way in, engine.py the thread that owns the model, one file for each kind of endpoint."""
