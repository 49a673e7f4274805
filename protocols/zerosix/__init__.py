"""The ZeroSix JSON front-end."""
