"""MongoDB: documents, indexes, named queries, atomic updates. The only importer of beanie and pymongo."""
