"""What all trainings share: config, loop, hosts, runs, checkpoints, evaluation, export and quantisation."""
