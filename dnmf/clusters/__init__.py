"""Where it is computed: kinds of clusters, one file each, and what is asked of their workers."""
