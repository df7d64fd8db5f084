@description('The name of the account that holds the state.')
param storageName string

@description('The container of the dead letters.')
param containerName string

@description('The identities of the topics that bring them.')
param principalIds array

var roles = loadJsonContent('../roles.json')

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' existing = {
  name: '${storageName}/default/${containerName}'
}

resource access 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for principalId in principalIds: {
    name: guid(container.id, principalId, roles['Storage Blob Data Contributor'])
    scope: container
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId(
        'Microsoft.Authorization/roleDefinitions',
        roles['Storage Blob Data Contributor']
      )
    }
  }
]
