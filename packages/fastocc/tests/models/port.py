"""FlashOcc and BEVDet-Occ in plain torch under the names of their checkpoints, from their published code (Apache-2.0).

Written for comparison: modules are called and joined as theirs are, pooling is one `index_add` over truncated cells.
"""

from __future__ import annotations

import torch
import torchvision
from torch import nn
from torch.nn import functional as F


class ConvModule(nn.Module):
    def __init__(self, conv, bn=None, relu=False):
        super().__init__()
        self.conv = conv
        if bn is not None:
            self.bn = bn
        self.relu = relu

    def forward(self, x):
        x = self.conv(x)
        x = self.bn(x) if hasattr(self, "bn") else x
        return F.relu(x) if self.relu else x


class Neck(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.lateral_convs = nn.ModuleList([ConvModule(nn.Conv2d(one, outputs, 1)) for one in inputs])
        self.fpn_convs = nn.ModuleList([ConvModule(nn.Conv2d(outputs, outputs, 3, padding=1))])

    def forward(self, maps):
        fine, coarse = (conv(one) for conv, one in zip(self.lateral_convs, maps, strict=True))
        return self.fpn_convs[0](fine + F.interpolate(coarse, size=fine.shape[2:], mode="nearest"))


class ViewTransformer(nn.Module):
    """LSSViewTransformer: frustum, points in the ego frame, sums over truncated cells."""

    def __init__(self, inputs, outputs, step, grid, collapse):
        super().__init__()
        self.grid, self.collapse, self.outputs = grid, collapse, outputs
        self.depth = torch.arange(1.0, 45.0, step)
        self.depth_net = nn.Conv2d(inputs, len(self.depth) + outputs, 1)

    def forward(self, x, cam2img, cam2ego, size):
        height, width = x.shape[2:]
        made = self.depth_net(x)
        depth, content = made[:, : len(self.depth)].softmax(1), made[:, len(self.depth) :]
        v, u = torch.meshgrid(
            torch.linspace(0, size[0] - 1, height), torch.linspace(0, size[1] - 1, width), indexing="ij"
        )
        d = self.depth.view(-1, 1, 1).expand(-1, height, width)
        points = torch.stack([u * d, v * d, d], -1)
        combine = cam2ego[:, :3, :3] @ torch.inverse(cam2img)
        ego = torch.einsum("nij,dhwj->ndhwi", combine, points) + cam2ego[:, None, None, None, :3, 3]
        levels = 1 if self.collapse else self.grid.shape[2]
        interval = torch.tensor([*self.grid.voxel[:2], (self.grid.upper[2] - self.grid.lower[2]) / levels])
        index = ((ego - torch.tensor(self.grid.lower)) / interval).long()
        shape = torch.tensor([*self.grid.shape[:2], levels])
        kept = ((index >= 0) & (index < shape)).all(-1)
        flat = (index[..., 2] * shape[1] + index[..., 1]) * shape[0] + index[..., 0]
        rows = torch.einsum("ndhw,nchw->ndhwc", depth, content)[kept]
        volume = torch.zeros(int(shape.prod()), self.outputs).index_add(0, flat[kept], rows)
        volume = volume.view(levels, shape[1], shape[0], self.outputs).permute(3, 0, 1, 2)[None]
        return volume[:, :, 0] if self.collapse else volume


class Block2d(nn.Module):
    def __init__(self, inputs, outputs, stride, down):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        if down:
            self.downsample = nn.Conv2d(inputs, outputs, 3, stride, 1)

    def forward(self, x):
        same = self.downsample(x) if hasattr(self, "downsample") else x
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + same)


class Backbone(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps


class NeckLss(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        wide = 2 * outputs
        self.up = nn.Upsample(scale_factor=4, mode="bilinear", align_corners=True)
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU(),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU(),
        )  # fmt: skip
        self.up2 = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            nn.Conv2d(wide, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 1),
        )  # fmt: skip

    def forward(self, maps):
        return self.up2(self.conv(torch.cat([maps[0], self.up(maps[2])], 1)))


def conv3d(inputs, outputs, stride=1, relu=False, kernel=3):
    conv = nn.Conv3d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return ConvModule(conv, nn.BatchNorm3d(outputs), relu)


class Block3d(nn.Module):
    def __init__(self, inputs, outputs, stride, down):
        super().__init__()
        self.conv1, self.conv2 = conv3d(inputs, outputs, stride, relu=True), conv3d(outputs, outputs)
        self.downsample = conv3d(inputs, outputs, stride) if down else None

    def forward(self, x):
        return F.relu(self.conv2(self.conv1(x)) + (x if self.downsample is None else self.downsample(x)))


class Neck3d(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = conv3d(inputs, outputs, relu=True, kernel=1)

    def forward(self, maps):
        up = [nn.Upsample(scale_factor=2**at, mode="trilinear", align_corners=True)(maps[at]) for at in (1, 2)]
        return self.conv(torch.cat([maps[0], *up], 1))


class OccHead(nn.Module):
    def __init__(self, width, outputs, three):
        super().__init__()
        conv = nn.Conv3d if three else nn.Conv2d
        self.final_conv = ConvModule(conv(width, width, 3, padding=1), relu=True)
        self.predicter = nn.Sequential(nn.Linear(width, 2 * width), nn.Softplus(), nn.Linear(2 * width, outputs))

    def forward(self, x):
        return self.predicter(self.final_conv(x).permute(0, *range(x.dim() - 1, 0, -1)))


class Published(nn.Module):
    """`three`: BEVDet-Occ; else FlashOcc."""

    def __init__(self, grid, *, three, deep=True, width=64, neck=256, out=256, step=0.5):
        super().__init__()
        body = (torchvision.models.resnet50 if deep else torchvision.models.resnet18)(weights=None)
        del body.fc
        self.img_backbone = body
        self.img_neck = Neck([1024, 2048] if deep else [256, 512], neck)
        self.img_view_transformer = ViewTransformer(neck, width, step, grid, not three)
        block, widths = (Block3d, (1, 2, 4)) if three else (Block2d, (2, 4, 8))
        counts, strides = ((1, 2, 4), (1, 2, 2)) if three else ((2, 2, 2), (2, 2, 2))
        layers, last = [], width
        for times, count, stride in zip(widths, counts, strides, strict=True):
            end = times * width
            first = block(last, end, stride, True)
            layers.append(nn.Sequential(first, *(block(end, end, 1, False) for _ in range(count - 1))))
            last = end
        self.img_bev_encoder_backbone = Backbone(layers)
        self.img_bev_encoder_neck = Neck3d(7 * width, width) if three else NeckLss(10 * width, out)
        self.three, self.levels = three, grid.shape[2]
        self.occ_head = OccHead(width, 18, True) if three else OccHead(out, 18 * self.levels, False)

    def forward(self, images, cam2img, cam2ego):
        mean, std = (torch.tensor(one).view(3, 1, 1) for one in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]))
        b = self.img_backbone
        x = b.layer2(b.layer1(b.maxpool(b.relu(b.bn1(b.conv1((images - mean) / std))))))
        fine = b.layer3(x)
        x = self.img_neck([fine, b.layer4(fine)])
        x = self.img_view_transformer(x, cam2img, cam2ego, images.shape[-2:])
        made = self.occ_head(self.img_bev_encoder_neck(self.img_bev_encoder_backbone(x)))
        return made if self.three else made.unflatten(-1, (self.levels, 18))


def random_port(grid, seed=0, **settings):
    """A port with weights and batch norm statistics that are not those of a fresh network."""
    torch.manual_seed(seed)
    port = Published(grid, **settings).eval()
    for module in port.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.7, 1.3)
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, 0, 0.1)
    return port
