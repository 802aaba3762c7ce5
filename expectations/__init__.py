"""Great Expectations suites and the audit that runs them."""
