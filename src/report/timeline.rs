//! Where a run's time went: bars of a Gantt chart, from the report alone. Pure.
