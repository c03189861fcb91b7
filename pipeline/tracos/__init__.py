"""TracOS, our system: work orders in MongoDB; the only room that imports motor, pymongo or bson."""
