"""A policy against what its upstreams really offer: what does not fit, and what is not protected."""
