"""How many components: rows × columns of a sample that are held out, for many ranks, and what follows. Pure NumPy.

Halves of a sample are factorized by `fitting`, each predicts the other in `held_out`, and `choice` says which rank that
speaks for. What reads X for it and what keeps the results is elsewhere: `dnmf.factorization.ranks` and
`dnmf.run.ranking`.
"""
