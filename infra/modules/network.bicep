@description('The name of the network.')
param name string

@description('Where it lies.')
param location string

@description('Tags of the resources.')
param tags object

@description('The addresses of the network.')
param addressPrefix string

@description('What is reached from inside alone: objects of name, id, groupId and zone. No two have the same zone.')
param endpoints array

resource network 'Microsoft.Network/virtualNetworks@2025-09-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 0)
          delegations: [{ name: 'app', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'endpoints'
        properties: { addressPrefix: cidrSubnet(addressPrefix, 26, 1), privateEndpointNetworkPolicies: 'Disabled' }
      }
    ]
  }
}

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for each in endpoints: {
    name: each.zone
    location: 'global'
    tags: tags
  }
]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (each, index) in endpoints: {
    parent: zone[index]
    name: name
    location: 'global'
    tags: tags
    properties: { registrationEnabled: false, virtualNetwork: { id: network.id } }
  }
]

resource endpoint 'Microsoft.Network/privateEndpoints@2025-09-01' = [
  for each in endpoints: {
    name: each.name
    location: location
    tags: tags
    properties: {
      subnet: { id: '${network.id}/subnets/endpoints' }
      privateLinkServiceConnections: [
        { name: each.name, properties: { privateLinkServiceId: each.id, groupIds: [each.groupId] } }
      ]
    }
  }
]

resource group 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-09-01' = [
  for (each, index) in endpoints: {
    parent: endpoint[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: 'default'
          properties: { privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', each.zone) }
        }
      ]
    }
    dependsOn: [zone]
  }
]

output appSubnetId string = '${network.id}/subnets/app'
