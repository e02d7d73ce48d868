"""What an input may say of the hosts of its transients, and of the orientation of its cutouts."""

import pyarrow as pa

HOST_FACTS = pa.schema(
    [
        pa.field("host_ra", pa.float64()),  # ICRS degrees; null where unknown, or there is none
        pa.field("host_dec", pa.float64()),
        pa.field("is_hostless", pa.bool_()),
        pa.field("host_radius_arcsec", pa.float64()),  # along the major axis, of simulated hosts
    ]
)

ORIENTATION_FACTS = pa.schema(
    [  # arcsec to the east and to the north per pixel along columns (x) and rows (y)
        pa.field("east_x_arcsec", pa.float64()),
        pa.field("east_y_arcsec", pa.float64()),
        pa.field("north_x_arcsec", pa.float64()),
        pa.field("north_y_arcsec", pa.float64()),
    ]
)
