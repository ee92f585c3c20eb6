"""Sources that come with headrace: modules of resources, one a service."""
