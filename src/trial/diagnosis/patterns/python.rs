//! Python: packages, CUDA, files, arguments, datasets.

use super::Pattern;

const VERSIONS: &str = "the image has another version of a library than the example was written for: pin it";

pub(super) const PATTERNS: &[Pattern] = &[
    Pattern::fatal("python-module-missing", r"(?P<what>ModuleNotFoundError: No module named '?(?P<module>[^'\s]+)'?.*)", "the package that brings `{module}` is not in the image: add it there, or install it before the program starts"),
    Pattern::fatal("python-module-main", r"(?P<what>No module named (?P<module>[\w.]+))$", "the package that brings `{module}` is not in the image").ending(&[1]),
    Pattern::fatal("python-import-name", r"(?P<what>ImportError: cannot import name '(?P<name>[^']+)' from '(?P<module>[^']+)'.*)", "the `{module}` of the image has no `{name}`: pin the version that the example was written for"),
    Pattern::fatal("python-import-library", r"(?P<what>(?:ImportError|OSError): (?P<library>lib[^:\s]+\.so[^:\s]*): cannot open shared object file.*)", "the image lacks the system package that brings `{library}`"),
    Pattern::fatal("python-numpy-abi", r"numpy\.dtype size changed|numpy\.ufunc size changed|compiled using NumPy 1\.x|module 'numpy' has no attribute", "the image's numpy is too new or too old for its other packages: pin numpy"),
    Pattern::fatal("python-protobuf", r"(?P<what>Descriptors can(?:not| not) be created directly.*)", "pin protobuf to the version that the image's packages were generated for"),
    Pattern::fatal("python-attribute", r"(?P<what>AttributeError: (?:partially initialized )?module '(?P<module>[^']+)' has no attribute '(?P<name>[^']+)'.*)", "the `{module}` of the image has no `{name}`: pin the version that the example was written for"),
    Pattern::fatal("python-keyword", r"(?P<what>TypeError: .*got an unexpected keyword argument '(?P<name>[^']+)'.*)", VERSIONS),
    Pattern::fatal("python-weights-only", r"(?P<what>(?:_pickle\.)?UnpicklingError: Weights only load failed.*)", "since PyTorch 2.6 torch.load reads weights alone: pass weights_only=False for files that are trusted, or pin torch"),
    // GPUs
    Pattern::fatal("cuda-memory", r"CUDA out of memory|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED", "the GPU's memory is full: lower the batch size or the model's size"),
    Pattern::fatal("cuda-absent", r"Found no NVIDIA driver|No CUDA GPUs are available|Torch not compiled with CUDA enabled|no CUDA-capable device|CUDA_ERROR_NO_DEVICE|CUDA driver version is insufficient|CUDA unknown error|libcuda\.so\.1: cannot open|deserialize object on a CUDA device but", "there is no GPU for it: request one (nvidia.com/gpu), or let the example fall back to the CPU"),
    Pattern::fatal("cuda-architecture", r"no kernel image is available for execution on the device", "the image's CUDA build does not know this GPU: use a build for it"),
    Pattern::fatal("cuda", r"(?P<what>(?:\w+: )?CUDA error: .*)", "set CUDA_LAUNCH_BLOCKING=1 to see the place that it comes from"),
    // Memory and disk
    Pattern::fatal("shared-memory", r"insufficient shared memory|unable to (?:open|allocate|mmap).*shared memory|killed by signal: Bus error|/dev/shm.*No space left", "/dev/shm is too small: mount an emptyDir with `medium: Memory` there, or use fewer data loader workers"),
    Pattern::fatal("worker-killed", r"(?P<what>DataLoader worker \(pid.*(?:killed by signal|exited unexpectedly).*)", "a data loader worker was killed, most often for memory: raise the container's memory limit"),
    Pattern::fatal("host-memory", r"DefaultCPUAllocator: (?:can't allocate|not enough) memory|std::bad_alloc|Cannot allocate memory|Unable to allocate .* for an array|\bMemoryError", "the container ran out of memory: raise its limit, or make the example smaller").ending(&[137]),
    Pattern::fatal("disk-full", r"No space left on device", "a volume or the node's disk is full: give the example a larger volume, or less data"),
    Pattern::fatal("read-only", r"Read-only file system", "write into a volume: the container's own file system is read-only"),
    Pattern::fatal("too-many-files", r"Too many open files", ""),
    // Files
    Pattern::fatal("python-script-missing", r"(?P<what>can't open file '(?P<path>[^']+)'.*)", "the image has no `{path}`: check the command and the working directory of the manifest").ending(&[2]),
    Pattern::fatal("python-file-missing", r"(?P<what>FileNotFoundError: .*'(?P<path>[^']+)'.*)", "neither the image nor a volume has `{path}`"),
    Pattern::fatal("python-permission", r"(?P<what>PermissionError: .*'(?P<path>[^']+)'.*)", "the container's user may not use `{path}`: see runAsUser, fsGroup, and the folders that caches are written to"),
    Pattern::fatal("python-dataset", r"(?P<what>(?:RuntimeError: )?(?:Dataset not found|File not found or corrupted).*)", "the dataset is neither in the image nor could it be downloaded"),
    Pattern::fatal("python-variable", r"(?P<what>KeyError: '(?P<variable>[A-Z][A-Z0-9]*_[A-Z0-9_]+)')", "the environment variable `{variable}` is most likely not set in the container"),
    // Hugging Face
    Pattern::fatal("hf-gated", r"GatedRepoError|Cannot access gated repo|[Aa]ccess to (?:model|dataset) \S+ is restricted|awaiting a review from the repo", "the model is gated: accept its licence, and give the container a token (HF_TOKEN) from a Secret"),
    Pattern::fatal("hf-unauthorised", r"RepositoryNotFoundError|Invalid user token|Invalid username or password|401 Client Error", "the repository does not exist, or needs a token (HF_TOKEN from a Secret)"),
    Pattern::fatal("hf-offline", r"LocalEntryNotFoundError|couldn't connect to 'https://huggingface\.co'", "the cluster can't reach huggingface.co: put the model into the image or a volume, or set HF_ENDPOINT to a mirror"),
    // Arguments
    Pattern::fatal("python-arguments", r"^(?P<what>[\w./-]+(?: [\w-]+)?: error: .+)", "the arguments in the manifest don't fit the program in the image").ending(&[2]),
    Pattern::fatal("click-arguments", r"^(?P<what>Error: (?:No such (?:option|command)|Missing (?:option|argument|command|parameter)|Invalid value|Got unexpected).*)", "the arguments in the manifest don't fit the program in the image").ending(&[2]),
    Pattern::fatal("pip-not-found", r"^(?:ERROR: )(?P<what>(?:No matching distribution found for|Could not find a version that satisfies the requirement) (?P<package>[^\s(]+).*)", "pip finds no `{package}` for this Python version and platform, or can't reach its index"),
    Pattern::fatal("pip", r"^(?:ERROR: |error: )(?P<what>(?:ResolutionImpossible|Could not install packages|Failed building wheel|Failed to build|Cannot install|subprocess-exited-with-error|metadata-generation-failed|Could not open requirements file).*)", "pip could not install a package: install it when the image is built"),
    Pattern::fatal("python-kubernetes-forbidden", r#"is forbidden: User \\?"(?P<user>[^"\\]+)\\?" cannot "#, "grant `{user}` that right by a Role and a RoleBinding of the example"),
    Pattern::fatal("cloud-credentials", r"NoCredentialsError|Unable to locate credentials|DefaultCredentialsError|InvalidAccessKeyId|could not find default credentials", "it wants credentials of a cloud, which a test cluster does not have"),
    Pattern::echo("python-subprocess", r"CalledProcessError: Command .* (?:returned non-zero exit status|died with)", "a program that it started failed: see what that printed"),
    Pattern::echo("python-interrupted", r"^(?:KeyboardInterrupt|SystemExit)\b", ""),
    Pattern::echo("python-shutdown", r"Exception ignored in|resource_tracker: There appear to be|atexit|Error in sys\.excepthook", ""),
    Pattern::fatal("python-notebook-kernel", r"DeadKernelError|Kernel died|NoSuchKernel", "the notebook's kernel is missing from the image or was killed, most often for memory"),
];
