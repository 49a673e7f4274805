"""What machines ask at 169.254.169.254: EC2's instance metadata service, and the relay of their orders' downloads."""
