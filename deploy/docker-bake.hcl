# The images of deploy/Dockerfile, built from the repository's root:
#
#   docker buildx bake -f deploy/docker-bake.hcl cpu
#   REGISTRY=registry.example.org TAG=0.1.0 docker buildx bake -f deploy/docker-bake.hcl --push
variable "REGISTRY" { default = "localhost" }
variable "TAG" { default = "0.1.0" }

group "default" { targets = ["cpu", "cuda"] }

target "cpu" {
  dockerfile = "deploy/Dockerfile"
  tags       = ["${REGISTRY}/ocray:${TAG}"]
}

# With onnxruntime-gpu, whose CUDA 12 and cuDNN 9 the base image has.
target "cuda" {
  dockerfile = "deploy/Dockerfile"
  args       = { BASE = "nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04", EXTRAS = "[gpu]" }
  tags       = ["${REGISTRY}/ocray:${TAG}-cuda"]
}

# Also for training and tuning, on either.
target "train" {
  inherits = ["cuda"]
  args     = { EXTRAS = "[train,gpu]" }
  tags     = ["${REGISTRY}/ocray:${TAG}-train"]
}
