"""Holds update rules and array libraries to what arrayopt promises."""

from arrayopt_conformance.check import check as check
