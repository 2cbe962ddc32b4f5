"""The built-in plugins, announced through the same hooks as plugins of other packages."""

from collections.abc import Mapping

from multisi.registry.hookspecs import hookimpl


@hookimpl
def multisi_register_interpolants() -> Mapping[str, str]:
    """The interpolants of `multisi.interpolants`."""
    return {
        "barycentric": "multisi.interpolants.barycentric:Barycentric",
        "trigonometric": "multisi.interpolants.trigonometric:Trigonometric",
        "variance-preserving": "multisi.interpolants.variance_preserving:VariancePreserving",
        "smoothed": "multisi.interpolants.smoothed:Smoothed",
        "encoding-decoding": "multisi.interpolants.encoding_decoding:EncodingDecoding",
    }


@hookimpl
def multisi_register_networks() -> Mapping[str, str]:
    """The networks of `multisi.networks`."""
    return {
        "mlp": "multisi.networks.mlp:MLP",
        "unet": "multisi.networks.unet:UNet",
        "transformer": "multisi.networks.transformer:Transformer",
    }


@hookimpl
def multisi_register_solvers() -> Mapping[str, str]:
    """The solvers of `multisi.solvers`."""
    return {
        "euler": "multisi.solvers.torchsde_methods:Euler",
        "heun": "multisi.solvers.torchsde_methods:Heun",
        "midpoint": "multisi.solvers.torchsde_methods:Midpoint",
        "milstein": "multisi.solvers.torchsde_methods:Milstein",
        "srk": "multisi.solvers.torchsde_methods:SRK",
        "adams": "multisi.solvers.multistep:Adams",
        "adams4": "multisi.solvers.multistep:Adams4",
        "ab2": "multisi.solvers.multistep:AdamsBashforth2",
        "ab3": "multisi.solvers.multistep:AdamsBashforth3",
        "rk4": "multisi.solvers.runge_kutta:RungeKutta4",
        "adaptive": "multisi.solvers.runge_kutta:Adaptive",
    }


@hookimpl
def multisi_register_couplings() -> Mapping[str, str]:
    """The couplings of `multisi.couplings`."""
    return {
        "auto": "multisi.couplings.choice:automatic",
        "independent": "multisi.couplings.independent:Independent",
        "paired": "multisi.couplings.paired:Paired",
        "data-dependent": "multisi.couplings.data_dependent:DataDependent",
        "rectified": "multisi.couplings.rectified:Rectified",
        "ot": "multisi.couplings.optimal_transport:OptimalTransport",
        "class-aware": "multisi.couplings.class_aware:ClassAware",
    }


@hookimpl
def multisi_register_paths() -> Mapping[str, str]:
    """The paths of `multisi.paths`."""
    return {
        "segment": "multisi.paths.polyline:Segment",
        "polyline": "multisi.paths.polyline:Polyline",
        "bow": "multisi.paths.bow:Bow",
    }
