"""What the guard costs: direct calls, a bare proxy of the SDK's, and Takeback, on one upstream and in one run."""
