def plan_hosts(config, recipe, target, manifests):
    raise NotImplementedError
