"""Places: where a store is, a folder of this machine or an object store with a folder before it."""
