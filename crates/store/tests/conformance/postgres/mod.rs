//! What only PostgreSQL can do or suffer.
