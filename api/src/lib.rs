//! The gateway: routes, authentication, problem+json, OpenAPI.
