"""Composes the process: configuration, store, driver, core and front-ends."""
