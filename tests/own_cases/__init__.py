"""Questions whose answers were derived by hand, the rules that they are about, and a runner that knows no algebra."""
