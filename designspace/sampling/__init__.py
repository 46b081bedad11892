"""What solvers share: the flow that they follow, counted evaluations, keyed noise, multistep bases."""
