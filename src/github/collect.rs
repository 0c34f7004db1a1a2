//! What the jobs of a fan-out left: the plan, and the results of shards, from artifacts of this run or another.
