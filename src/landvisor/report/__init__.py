"""Plain values turned into figures and pages."""
