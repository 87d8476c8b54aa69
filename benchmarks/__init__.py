# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tapeds costs: ratios to a named reference of the same run, on a machine that is never quiet.

Producer, client and consumer are processes of their own; each pair of runs alternates with its
reference, and the median of five pairs is told with its spread.
"""
