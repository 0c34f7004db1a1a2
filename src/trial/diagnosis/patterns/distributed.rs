//! PyTorch's launcher, NCCL and Gloo, TensorFlow's cluster, MPI: errors of several processes that work together. When one
//! dies the others say so, louder than it did.

use super::Pattern;

const PEER: &str =
    "another process of the job ended or could not be reached: read the log of the pod that failed first";
const GLOO: &str = "without a GPU use the backend gloo instead of nccl, or request a GPU";
const SLOTS: &str = "let -np fit slotsPerWorker times the replicas of Worker";
const SSH: &str = "the launcher could not log in to its workers: they must run sshd and be reachable before it starts";

pub(super) const PATTERNS: &[Pattern] = &[
    // torchrun
    Pattern::echo(
        "torch-child-failed",
        r"ChildFailedError|failed \(exitcode: -?\d+\) local_rank: \d+",
        "the launcher only reports it: read the trace of the rank that failed first",
    ),
    Pattern::echo(
        "torch-signal",
        r"SignalException: Process \d+ got signal: \d+|Sending process \d+ closing signal SIG\w+|Received (?:Signals\.)?SIG\w+ death signal",
        PEER,
    ),
    Pattern::fatal(
        "torch-rendezvous-env",
        r"(?P<what>environment variable (?P<variable>\w+) expected, but not set)",
        "set `{variable}`: the operator does so for its own job kinds, a plain Job has to do it itself",
    ),
    Pattern::fatal(
        "torch-no-process-group",
        r"(?P<what>Default process group has not been initialized.*)",
        "call init_process_group first, or start the program by torchrun",
    ),
    Pattern::fatal(
        "torch-no-nccl",
        r"(?P<what>(?:Distributed package doesn't have NCCL built in|ProcessGroupNCCL is only supported with GPUs).*)",
        GLOO,
    ),
    Pattern::fatal(
        "nccl-usage",
        r"(?P<what>(?:Duplicate GPU detected|ncclInvalidUsage|ncclInvalidArgument).*)",
        "give each process a GPU of its own",
    ),
    Pattern::echo(
        "nccl-watchdog",
        r"Watchdog caught collective operation timeout|ncclRemoteError|NCCL communicator was aborted|Some NCCL operations have failed or timed out",
        PEER,
    ),
    Pattern::fatal(
        "nccl",
        r"(?P<what>(?:NCCL error|ncclUnhandledCudaError|ncclSystemError|ncclInternalError|NCCL WARN).*)",
        "set NCCL_DEBUG=INFO in the container to see what NCCL tried; check network interfaces and /dev/shm",
    ),
    Pattern::echo(
        "torch-store",
        r"RendezvousConnectionError|RendezvousTimeoutError|RendezvousClosedError|DistStoreError|DistNetworkError|client socket has (?:timed out|failed to connect)|store->get\(.*\) got error|TCPStore",
        "the process of rank 0 did not answer: check that it runs, and that MASTER_ADDR and MASTER_PORT mean it",
    ),
    Pattern::echo(
        "peer-gone",
        r"(?i)connection (?:was )?(?:reset|closed|aborted) by (?:remote )?peer|\[Errno (?:32|104)\]|broken pipe|socket closed|ConnectionAbortedError|EOF occurred|worker has died|peer (?:has )?disconnected",
        PEER,
    ),
    Pattern::fatal(
        "gloo",
        r"(?P<what>(?:gloo::EnforceNotMet|\[enforce fail at .*gloo|Gloo (?:connectFullMesh|rendezvous)|unable to resolve .* gloo).*)",
        "check that the pods can reach each other by name, and set GLOO_SOCKET_IFNAME if they have several interfaces",
    ),
    // TensorFlow
    Pattern::echo("tensorflow-peer", r"(?P<what>(?:UnavailableError|AbortedError|CancelledError)\b.*)", PEER),
    Pattern::fatal(
        "tensorflow-memory",
        r"(?P<what>ResourceExhaustedError.*)",
        "less data at once: lower the batch size, or give the container more memory",
    ),
    // MPI
    Pattern::fatal("mpi-slots", r"(?P<what>[Tt]here are not enough slots available.*)", SLOTS),
    Pattern::fatal(
        "mpi-root",
        r"(?P<what>(?:mpirun|mpiexec|prterun) has detected an attempt to run as root.*)",
        "add --allow-run-as-root, or run the container as another user",
    ),
    Pattern::fatal(
        "mpi-executable",
        r"(?P<what>(?:mpirun|mpiexec|prterun) was unable to (?:find|launch) the specified (?:executable|application).*)",
        "the workers' image does not have the program that mpirun starts",
    ),
    Pattern::fatal(
        "mpich-executable",
        r"(?P<what>HYDU?_create_process.*execvp error on file (?P<program>\S+) .*)",
        "the image does not have `{program}`",
    ),
    Pattern::fatal(
        "mpi-ssh-host",
        r"(?P<what>ssh: Could not resolve hostname (?P<host>[^\s:]+).*)",
        "`{host}` has no DNS entry yet: the workers' Service or pods were not there when the launcher started",
    ),
    Pattern::fatal("mpi-ssh-connect", r"(?P<what>ssh: connect to host (?P<host>\S+) port \d+: .*)", SSH),
    Pattern::fatal(
        "mpi-ssh-refused",
        r"(?P<what>Host key verification failed.*|.*Permission denied \(publickey.*)",
        SSH,
    ),
    Pattern::echo("mpi-aborted", r"(?P<what>MPI_ABORT was invoked on rank \d+.*|application called MPI_Abort.*)", ""),
    Pattern::echo(
        "mpi-noticed",
        r"(?P<what>(?:mpirun|mpiexec|prterun) noticed that process rank \d+.*|(?:mpirun|mpiexec|prterun) detected that one or more processes exited.*|Primary job\s+terminated normally.*|=?\s*BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES.*|.*ORTE has lost communication.*)",
        "a process that mpirun started failed: its own output stands above, or in its worker's log",
    ),
    Pattern::echo(
        "mpi-daemon",
        r"(?P<what>ORTE was unable to reliably start one or more daemons.*|(?:PRTE|PRRTE) has lost.*|An ORTE daemon has unexpectedly failed.*|.*unable to start the daemon.*)",
        SSH,
    ),
    Pattern::fatal(
        "mpi-runtime",
        r"(?P<what>(?:\*\*\* )?(?:An error occurred in MPI_\w+|The MPI_Init\(?\w*\)? function was called.*|PMI2?_Init failed.*|MPI_INIT has failed.*)|It looks like MPI_INIT failed.*)",
        "",
    ),
    Pattern::echo("mpi-internal", r"(?P<what>(?:ORTE_ERROR_LOG|PMIX ERROR|OPAL ERROR|PRTE ERROR).*)", ""),
    Pattern::fatal(
        "horovod",
        r"(?P<what>Horovod (?:has been shut down|detected that|initialization).*|horovodrun.*exited.*)",
        PEER,
    ),
];
