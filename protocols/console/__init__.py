"""The console: what customers and the operator see in a browser. A front-end without state of its own."""
