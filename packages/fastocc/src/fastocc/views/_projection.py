"""From voxel centres to pixels, with every augmentation as a matrix (torch)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from fastocc.geometry import UNDISTORTED, angle_of, distort, is_distorted, radius, undistort
from fastocc.views._base import CameraInputs


def rigid_inverse(pose: Tensor) -> Tensor:
    """Inverse of (..., 4, 4) rigid transforms by transposition: exact, cheap and exportable."""
    turn = pose[..., :3, :3].transpose(-1, -2)
    shift = -(turn @ pose[..., :3, 3:])
    last = pose[..., 3:, :]
    return torch.cat([torch.cat([turn, shift], -1), last], -2)


def image_augmentation(
    resize: float = 1.0,
    crop: tuple[float, float] = (0.0, 0.0),
    flip: bool = False,
    rotate: float = 0.0,
    size: tuple[int, int] = (0, 0),
) -> Tensor:
    """(3, 3) matrix from original to augmented pixel coordinates, in BEVDet's order: resize, crop, flip, rotate.

    Args:
        resize: factor. crop: (left, top) pixels cut after resizing.
        flip: mirror columns. rotate: degrees about the middle of the image, counter-clockwise on the screen.
        size: (height, width) of the augmented image; needed by flip and rotate.
    """
    height, width = size
    matrix = torch.tensor([[resize, 0, -crop[0]], [0, resize, -crop[1]], [0, 0, 1.0]], dtype=torch.float64)
    if flip:
        matrix = torch.tensor([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]], dtype=torch.float64) @ matrix
    if rotate:
        angle = math.radians(rotate)
        cos, sin, u, v = math.cos(angle), math.sin(angle), width / 2, height / 2
        turn = [[cos, sin, u - cos * u - sin * v], [-sin, cos, v + sin * u - cos * v], [0, 0, 1.0]]
        matrix = torch.tensor(turn, dtype=torch.float64) @ matrix
    return matrix.float()


def bev_augmentation(flip_x: bool = False, flip_y: bool = False, rotate: float = 0.0) -> Tensor:
    """(4, 4) matrix from ego to augmented ego coordinates: rotation about z by `rotate` degrees, then mirrors."""
    angle = math.radians(rotate)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cos, -sin, 0, 0], [sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    mirror = torch.diag(torch.tensor([-1.0 if flip_x else 1.0, -1.0 if flip_y else 1.0, 1.0, 1.0]))
    return mirror @ turn


def project(
    points: Tensor,
    cam2img: Tensor,
    cam2ego: Tensor,
    img_aug: Tensor | None = None,
    bev_aug: Tensor | None = None,
    lens: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Pixels and depths of points of the (augmented) ego frame in each camera.

    Args:
        points: (P, 3) or (B, P, 3), metres, in the frame after `bev_aug`.
        cam2img: (B, N, 3, 3) intrinsics. cam2ego: (B, N, 4, 4) rigid.
        img_aug: (B, N, 3, 3) original to augmented pixels. bev_aug: (B, 4, 4), mirrors, rotations and shifts only.
        lens: (B, N, 13) rows of `geometry.lens_row`; None if all cameras are pinholes.
    Returns: (B, N, P, 2) columns and rows in augmented pixels, and (B, N, P) depth along the optical axis, metres;
        where depth <= 0 the pixels have no meaning. Of a fisheye, depth is the distance; beyond a lens's widest
        angle it is negative.
    """
    to_camera = rigid_inverse(cam2ego)
    if bev_aug is not None:
        to_camera = to_camera @ rigid_inverse(bev_aug)[:, None]
    if points.dim() == 2:
        points = points[None]
    camera = points[:, None] @ to_camera[..., :3, :3].transpose(-1, -2) + to_camera[..., None, :3, 3]
    depth = camera[..., 2]
    to_image = cam2img if img_aug is None else img_aug @ cam2img
    if lens is not None:
        camera, depth = _bent(camera, lens)
    flat = camera @ to_image.transpose(-1, -2)
    return flat[..., :2] / flat[..., 2:].clamp(min=1e-5), depth


def sample_images(features: Tensor, points: Tensor, cameras: CameraInputs) -> Tensor:
    """Image features at points of space: bilinear, the mean over the cameras that see a point, 0 where none does.

    Args:
        features: (B, N, C, h, w). points: (P, 3), metres, in the grid's (augmented) frame.
    Returns: (B, C, P). With a grid's voxel centres this is a look-up that keeps z.
    """
    pixels, depth = project(points, cameras.cam2img, cameras.cam2ego, cameras.img_aug, cameras.bev_aug, cameras.lens)
    height, width = cameras.image_size
    places = pixels / torch.tensor([width, height], dtype=pixels.dtype, device=pixels.device) * 2 - 1
    seen = ((depth > 0.1) & (places.abs() < 1).all(-1)).to(features.dtype)
    places = torch.where(seen[..., None] > 0, places, 3.0).flatten(0, 1)[:, None]
    taken = F.grid_sample(features.flatten(0, 1), places, align_corners=False)[:, :, 0]
    share = seen / seen.sum(1, keepdim=True).clamp(min=1)
    return (taken.unflatten(0, features.shape[:2]) * share[:, :, None]).sum(1)


def _bent(camera: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    """(B, N, P, 3) points as a pinhole would have to see them, and their depths."""
    row = lens[:, :, None]
    depth, distance = camera[..., 2], camera.norm(dim=-1)
    across = camera[..., :2].norm(dim=-1)
    angle = torch.atan2(across, depth)
    inside, has_lens, distorted = angle <= row[..., 4], row[..., 4] > 0, is_distorted(row)
    bent = camera[..., :2] * (radius(angle, row) / across.clamp(min=1e-9))[..., None]
    ahead = depth.clamp(min=1e-6)
    # points outside the field of view stay at the axis: their powers would overflow
    flat = torch.where(inside[..., None], camera[..., :2] / ahead[..., None], torch.zeros_like(camera[..., :2]))
    moved = torch.stack(distort(flat[..., 0], flat[..., 1], row), -1)
    seen = torch.cat([torch.where(distorted[..., None], moved, bent), torch.ones_like(camera[..., :1])], -1)
    length = torch.where(distorted, depth.abs(), distance)
    depths = torch.where(inside, length, -length)
    return torch.where(has_lens[..., None], seen, camera), torch.where(has_lens, depths, depth)


def unproject(pixels: Tensor, to_image: Tensor, lens: Tensor | None = None) -> Tensor:
    """Directions of pixels in each camera's coordinates.

    Args:
        pixels: (h, w, 3) homogeneous pixels. to_image: (B, N, 3, 3), augmentation included. lens: (B, N, 13) or None.
    Returns: (B, N, h, w, 3): with z = 1 of a pinhole or distorted camera, unit vectors of a fisheye; NaN beyond a
        lens's widest angle.
    """
    flat = torch.einsum("bnij,hwj->bnhwi", torch.linalg.inv(to_image), pixels)
    if lens is None:
        return flat
    row, missing = lens[:, :, None, None], torch.full_like(flat, float("nan"))
    bent = flat[..., :2].norm(dim=-1)
    angle = angle_of(bent, row)
    around = flat[..., :2] / bent.clamp(min=1e-9)[..., None]
    rays = torch.cat([around * angle.sin()[..., None], angle.cos()[..., None]], -1)
    rays = torch.where((bent <= radius(row[..., 4], row))[..., None], rays, missing)
    x, y, off = undistort(flat[..., 0], flat[..., 1], row)
    straight = torch.where((off < UNDISTORTED)[..., None], torch.stack([x, y, torch.ones_like(x)], -1), missing)
    rays = torch.where(is_distorted(row)[..., None], straight, rays)
    return torch.where(row[..., 4:5] > 0, rays, flat)
