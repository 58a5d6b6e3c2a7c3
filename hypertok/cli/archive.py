"""`hypertok pack` and `hypertok unpack`."""
