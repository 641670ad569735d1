"""A fuzzer of fused steps: sequences of steps on one `FusedStep`, each compared with `update` and `apply_updates`.

Between the steps the caller does whatever a caller can do: other arrays, other structures, memory exchanged, made
read-only or shared, gradients of foreign types, rules that raise, draw noise or look at their surroundings.
``python -m arrayopt_conformance.fuzz --minutes 60`` runs it under ``faulthandler``, in processes that may crash.
"""
