class HostSpec:
    identity = ""
    simulated = False


class HostModel:
    model_id = ""


def load_host_model(uri):
    raise NotImplementedError


def train_hosts(spec, uri):
    raise NotImplementedError
