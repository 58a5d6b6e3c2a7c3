"""Training new rows and adapters: data, loss, loop."""
