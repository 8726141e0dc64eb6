"""Pictures of voxels on machines without a display: bird views, camera overlays, one self-contained HTML viewer.

- `_colors.py`: a colour for each class
- `_bird.py`: seen from above
- `_overlay.py`: drawn into the camera images
- `_street.py`: in perspective, from above and behind the vehicle
- `_rig_view.py`: a rig from above and from the side
- `_viewer.py`: WebGL2 cubes in one HTML file
- `_frame.py`: one frame of a data set as a file
- `_render.py`: `render`, which chooses by the file's suffix
"""

from fastocc.pictures._bird import bird_view
from fastocc.pictures._colors import colors
from fastocc.pictures._overlay import overlay, overlay_sheet
from fastocc.pictures._render import render, save_png, with_legend
from fastocc.pictures._rig_view import CameraView, rig_figure, rig_views, write_rig_page
from fastocc.pictures._street import frame_figure, street_view
from fastocc.pictures._viewer import viewer_html

__all__ = [
    "CameraView",
    "bird_view",
    "colors",
    "frame_figure",
    "overlay",
    "overlay_sheet",
    "render",
    "rig_figure",
    "rig_views",
    "save_png",
    "street_view",
    "viewer_html",
    "with_legend",
    "write_rig_page",
]
