"""Independent references for rates, risks and tuned values, in extended precision.

Nothing here knows the engine of `accelsim.exact`: a rule is run as it is (`accelsim.rule.step`), on formal sums of
its states and gradients, and a problem is what its docstring says of its samples. `numbers` has the arithmetic, `rules`
the linear map of a step, `inputs` the law of a gradient, `moments` the risk, `radius` the rate, `limit` the least risk
of all linear methods, `search` a grid that a tuned value may not exceed, and `verdict` compares an answer with them.
"""
