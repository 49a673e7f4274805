"""Composes the process of Onefleet: configuration, store, driver, core and front-ends."""
