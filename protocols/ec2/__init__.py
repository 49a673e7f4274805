"""The EC2 Query/XML front-end."""
